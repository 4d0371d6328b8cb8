"""From archives and folders to normalised batches: readers -> pack or index -> batches, augmented on the device."""
