"""What runs on the machine: standard library only, Python 3.8 or newer, shipped as one zipapp, imports nothing of ours.

A run's folder on the machine, made by us and filled by the guest::

    job.json        what to run (written by us before `start`); no secrets
    work/           the job's folder, its current directory
    job.log         everything the job printed; each line begins with a UTC time stamp
    state.json      what became of it; replaced atomically, never seen half
    samples.jsonl   one JSON object per sample: CPU, memory, GPUs
    supervisor.log  what the supervisor itself had to say
    requests.jsonl  who asked the supervisor to end the job, one line each
    start.lock, state.json.next, bin/   the guest's own: one start at a time; room for the next state; `python` by that name

`python3 guest.pyz COMMAND …` speaks JSON on standard output; `follow` alone speaks bytes. Exit code 0 unless said otherwise;
an error is one JSON object `{"error": "…"}` and exit code 1.

`facts`
    One object: hostname, system, machine, python, cpus, memory_bytes, disk_free_bytes, gpus
    (list of {"name", "memory_mib", "driver", "compute_capability"}; empty without an NVIDIA driver).
`prepare CACHE WORK`
    Make the job's environment below CACHE/envs. Standard input: one object {"framework": name, "requirements": relative
    name in WORK or null}. Output: one object per line: {"event": "progress", "text": …} while it works, last
    {"event": "ready", "python": absolute path, "packages": {name: version}, "cached": bool, "seconds": float} or
    {"event": "failed", "reason": …, "log": tail} (exit code 1).
`gpu-check FRAMEWORK [--gpus N]`
    Run by the environment's own Python. One object {"ok", "device", "gpus", "library", "driver", "compute_capability",
    "reason"}: ok says that a real matrix product ran on a GPU; reason is why not.
`start RUN`
    Start RUN/job.json detached under a supervisor of its own session. Standard input: one object, the secrets {NAME: value}.
    Returns when the supervisor has recorded the state; prints it. Idempotent: a job that was started is not started again.
`state RUN`
    Print the state: {"phase": "starting"|"running"|"ended"|"lost", "exit_code", "signal", "ended_by", "started_at",
    "ended_at", "log_bytes", "log_lost_bytes" (output that a full disk refused)}. "lost" when state.json says running but
    its supervisor is dead (or the machine rebooted).
`follow RUN [--offset BYTES]`
    Write job.log from that byte on as it grows; end when the job ended and every byte was written.
`signal RUN NAME [--grace SECONDS]`
    Send the job's process group a signal ("TERM"); after the grace, KILL. Waits for the end, prints the state.

`job.json`: {"command": shell text, "python": environment's Python or null, "env": {name: value},
"deadline": Unix time or null, "grace_s": seconds between TERM and KILL, "sample_every_s": seconds}
"""
