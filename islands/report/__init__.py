"""Numbers, tables and figures made of what stores hold."""
