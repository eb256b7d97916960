"""The creators' pages."""
