"""A load generator in processes of its own, which asks one server of this machine for one URL.

Two kinds of load. In a *closed loop* each client asks again as soon as it is answered, which finds
the highest rate that a server gives. Its latencies say little: a server that stalls is not asked
meanwhile, so the wait of all who would have come is left out (coordinated omission). In an *open
loop* requests are due at a constant rate whatever the server does, and latency counts from the time
at which a request was due, as in wrk2 (Gil Tene, How NOT to Measure Latency, 2013).
"""
