"""What runs on the machine: standard library only, Python 3.8 or newer, shipped as one zipapp, imports nothing of ours.

A run's folder on the machine, made by us and filled by the guest::

    job.json        what to run (written by us before `start`); no secrets
    work/           the job's folder, its current directory
    job.log         everything the job printed; each line begins with a UTC time stamp
    state.json      what became of it; replaced atomically, never seen half
    samples.jsonl   one JSON object per sample: CPU, memory, GPUs
    supervisor.log  what the supervisor itself had to say
    requests.jsonl  who asked the supervisor to end the job, or to move its deadline, one line each
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
    "ended_at", "log_bytes", "log_lost_bytes" (output that a full disk refused), "reclaim_at" (when the cloud takes the
    machine back, or null)}. "ended_by" is "job", "request", "deadline", "stalled", "reclaim" or "". "lost" when state.json
    says running but its supervisor is dead (or the machine rebooted).
`follow RUN [--offset BYTES]`
    Write job.log from that byte on as it grows; end when the job ended and every byte was written.
`signal RUN NAME [--grace SECONDS]`
    Send the job's process group a signal ("TERM"); after the grace, KILL. Waits for the end, prints the state.
`deadline RUN UNIX`
    Move the job's deadline to that Unix time, sooner or later. Prints the state.
`lease [--home HOME]`
    Print the machine's lease: {"deadline", "issued_at", "ends_at" (Unix time; the last is when the machine ends by its own
    clocks, never after the deadline), "end": "poweroff"|"deallocate"|"none", "idle_timeout_s", "stall_timeout_s",
    "finish_grace_s" (seconds or null: never), "armed": a shutdown is scheduled or the boot line's watcher lives,
    "keeper": "running"|"none"}. HOME, the folder that holds `runs/`, is the zipapp's own when it is not named.
`lease --set [--home HOME]`
    Replace it. Standard input: one object {"deadline", "issued_at", "end", "idle_timeout_s", "stall_timeout_s",
    "finish_grace_s"}. One that was issued earlier than the machine's is an error. Arms the shutdown, has a keeper running,
    and prints what `lease` prints then. Needs root unless the end is "none".
`keeper HOME [--every SECONDS] [--pause SECONDS]`
    Keep the lease; never returns. Started by `lease --set`, by systemd, or by the boot line's watcher.

The lease lies in /var/lib/cloudtrain (where the end is "none": in HOME/lease): lease.json, clock (the last look at the
clocks), keeper.log, keeper (the line that starts it). Whatever happens, the machine ends at the deadline: by the clock on the
wall or by the machine's uptime, whichever says so first. A keeper of two processes ends it sooner when for `idle_timeout_s`
no job ran, nobody was connected over SSH, and GPUs, processors, disks and network were quiet (a meter that cannot be read is
not quiet); `finish_grace_s` after the last job ended, when nobody is connected and nothing travels; and it ends a job whose
GPUs were quiet for `stall_timeout_s`. Two minutes before the deadline the jobs are asked to end. CLOUDTRAIN_GUEST_ROOT names
a folder that plays the machine: every path of the system lies below it, and no program of the real system that could end
it is run.

`job.json`: {"command": shell text, "python": environment's Python or null, "env": {name: value},
"deadline": Unix time or null, "grace_s": seconds between TERM and KILL, "sample_every_s": seconds,
"notice": "aws" to end the job in time when a spot machine is taken back, or null}
"""
