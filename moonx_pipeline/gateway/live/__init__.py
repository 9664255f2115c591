"""The live connection: events of syncs and portfolios, to their user's open pages (Socket.IO)."""
