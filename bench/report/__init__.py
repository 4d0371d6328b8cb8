"""From outcomes to tables to text; pandas and jinja2 live here."""
