"""Channels: what the frames of ReCodEx say of a job, told over WebSocket to whoever names that job."""
