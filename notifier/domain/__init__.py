"""What the engine is about, as plain data and pure functions: nothing here asks a socket, a database or a clock."""
