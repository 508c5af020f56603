"""Open work: events, deliveries, leases, digests, and what receipts and the clock do to them."""
