"""Jobs: the tasks that people submit, their processes, and the events that the jobs post about their life."""
