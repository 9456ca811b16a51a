"""The only room that knows every other: builds the objects and hands them over."""
