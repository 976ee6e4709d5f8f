"""Object storage as a peer: a place that keeps bytes under names, and knows nothing of objects. `FORMAT.md` section 13.

bucket    the few things that are asked of it, and its errors in words
records   what lies there: the marker, refs and indexes, as bytes
building  packs of objects that are to go there
catalog   what is there, told from the indexes, which are kept on this machine
naming    refs: created only where there is none, moved only from where they were
reading   objects out of packs
peer      all of it, as the other side of a sync
"""
