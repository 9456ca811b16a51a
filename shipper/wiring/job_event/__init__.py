"""The client of batch jobs: posts what happens to a job, and never stands in its way."""
