"""The token lists in the package, and how they are made from published ones."""
