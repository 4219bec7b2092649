"""What hostile learners could hand in: the corpus of `grade --self-test`."""
