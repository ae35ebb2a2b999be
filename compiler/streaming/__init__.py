"""Running a network one chunk of a sequence at a time, by the rules of its operators."""
