"""The live connection (Socket.IO): sends events of syncs and portfolios to their user's open pages."""
