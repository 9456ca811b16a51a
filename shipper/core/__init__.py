"""The words every room shares: records, ports, errors and the clock."""
