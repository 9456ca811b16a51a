"""The embedded default: far ends small enough to run next to Shipper, over the real wires."""
