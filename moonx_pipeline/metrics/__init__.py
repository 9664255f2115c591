"""What operators see of a process: its metrics and its health. Every metric is declared here, by subject.

A process serves the metrics of the subjects that it imports. Labels have few values: a user's id is in none.
"""
