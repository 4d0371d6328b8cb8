"""Data sets on disk: where they lie, how they get there, if they are whole. Decodes no pixel; used on both sides."""
