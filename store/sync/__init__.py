"""Sync: what one store has and another lacks goes there, proven on arrival.

peers      what the other side of a sync can do, and the records that go over
chains     which executions of a chain the other side lacks
planning   which objects it lacks: a walk that stops at what it has
sending    those objects, each after what it points to
intake     taking them in: nothing is believed, and nothing leads to what is not there
claims     what the cache makes of an execution that came in
"""
