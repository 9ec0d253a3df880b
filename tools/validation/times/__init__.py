"""What the questions about times need: a workload with planted slow-downs, its recorder, and the rules of other tools."""
