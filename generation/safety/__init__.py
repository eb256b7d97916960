"""What is looked at before a job is taken: whether it may be asked for, and whether the picture will do."""
