"""Value adapters for types of other libraries, loaded only when such a value turns up."""
