"""Effects: everything that touches Kafka, the network, the clock or the disk; nothing here decides."""
