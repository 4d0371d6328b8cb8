"""BENCH_HOME on disk: paths, files, locks, the journal and its events. Imported on both sides of the wall."""
