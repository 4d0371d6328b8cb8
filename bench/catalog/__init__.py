"""What a suite file can name: models, data sets, schedules, optimizers and augmentations. Data only, no behaviour."""
