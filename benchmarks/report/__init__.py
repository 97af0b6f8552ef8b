"""From the record to docs/performance.md: targets, tables and pictures."""
