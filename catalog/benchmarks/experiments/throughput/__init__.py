"""A load generator in child processes, which requests one URL from one server of this machine.

There are two kinds of load. In a *closed loop*, each client sends the next request as soon as the last
one is answered, which finds the highest rate that a server reaches. Its latencies say little: a stalled
server gets no requests meanwhile, so the waits of all clients that would have come are left out
(coordinated omission). In an *open loop*, requests are due at a constant rate whatever the server does,
and latency counts from the time at which a request was due, as in wrk2 (Gil Tene, How NOT to Measure
Latency, 2013).
"""
