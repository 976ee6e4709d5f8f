"""Garbage collection: what is to stay, what can be reached from that, and what becomes of the rest.

retention   which executions stay; the others are marked as pruned
shallow     the table of executions whose contents, or whose parents, may be missing
reach       marks what can be reached
sweep       moves the rest to the trash, and forgets cache rows that lead there
trash       what was swept and can still be had back
collect     all of it in order
"""
