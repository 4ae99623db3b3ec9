"""The seeded world: whole agents under faults that a seed draws, judged by what they do.

Each seed is a history of its own: a group, a mix of faults, a safety phase in which nothing
forbidden may be done, then healing, then a liveness phase in which every route must come to its
first live node and stay there. `python -m tests.sim --seeds 1000` runs many of them.

    draw              a seed becomes a schedule, a group and a list of faults: data only
    clock             virtual time, and what is still to happen
    net               what becomes of a packet
    ec2               route tables, pins, tags and instances, behind an API with faults
    host              a machine and the process on it: crash, restart, freeze
    calls             the background calls of that process, and what faults do to them
    recorders         what a process tells its journal and the service manager
    faults            what each fault does when it begins and when it ends
    packet_evidence   what a node may believe, worked out from its packets alone
    write_checks      what no node may ever write
    judge             watches one process: what it does, tells, and leaves undone
    truth             who serves whom, whatever any node believes
    account           what clients went through, and what nodes wrote
    claims            the judge that knows the truth: what clients are owed
    grants            how much longer they may have to wait, by which fact of the world
    stage             the same world by script, at production timers
    pair              a pair on that stage, for the tests of agents and of what they tell
    double_faults     every two faults of two nodes in groups of three and four
    rows              what was once seen go wrong, one script each, with its bounds
    world             all of it together, from the first round to the last
    failed_seeds      the seeds that ever failed
    totals            what many seeds amount to, in figures
    mutants           worlds in which one rule is broken on purpose
"""
