"""/api/v1/models and /api/v1/jobs."""
