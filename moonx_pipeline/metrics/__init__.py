"""A process's metrics and health. Every metric is declared here, by subject.

A process serves the metrics of the modules that it imports. Labels have few values; none is a user's id.
"""
