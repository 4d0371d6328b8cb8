"""From archives and folders to normalised batches: sources -> pack -> batches, with augmentations in between."""
