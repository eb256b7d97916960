"""The worker: one Celery worker, one engine process, one resident model. The parent never touches the GPU."""
