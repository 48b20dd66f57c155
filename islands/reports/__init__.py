"""What people look at: numbers, tables, figures, drawings, the report and the live page."""
