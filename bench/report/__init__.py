"""Turn outcomes into tables and tables into text: the only package that imports jinja2 and pandas."""
