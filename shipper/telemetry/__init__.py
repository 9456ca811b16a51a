"""What Shipper says about itself: log lines and counters."""
