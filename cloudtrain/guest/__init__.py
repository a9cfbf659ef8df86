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
`fetch WORK`
    Bring files into WORK by links, several at once; asked again, it goes on where it was. Standard input (links are secrets,
    and stand nowhere else): one object {"files": [{"name": relative to WORK, "url", "bytes", "etag"}]}. A file is there when
    it is whole and has its size and, where the mark is one, its MD5. Output: one object per line:
    {"event": "progress", "done": bytes, "total": bytes}, {"event": "note", "text": …}, last {"event": "ready"},
    {"event": "denied", "reason": …} (a link is not good any more; exit code 1) or {"event": "failed", "reason": …} (1).
`restore WORK`
    Bring the outputs that lie in object storage into WORK, by what the machine itself may there; files that are newer here
    stay, names outside the outputs are refused. A right that does not count yet is waited for, eleven minutes at most and
    told in a note. Standard input: one object {"checkpoints": as in job.json, "env": {name:
    value}}. Output as `fetch`.
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
    clocks, never after the deadline), "end": "poweroff"|"deallocate"|"delete"|"none", "idle_timeout_s", "stall_timeout_s",
    "finish_grace_s" (seconds or null: never), "armed": a shutdown is scheduled, the boot line's watcher lives, or
    the keeper may ask the cloud,
    "keeper": "running"|"none"}. HOME, the folder that holds `runs/`, is the zipapp's own when it is not named.
`lease --set [--home HOME]`
    Replace it. Standard input: one object {"deadline", "issued_at", "end", "idle_timeout_s", "stall_timeout_s",
    "finish_grace_s"}. One that was issued earlier than the machine's is an error. Arms the shutdown, has a keeper running,
    and prints what `lease` prints then. Needs root unless the end is "none".
`keeper HOME [--every SECONDS] [--pause SECONDS]`
    Keep the lease; never returns. Started by `lease --set`, by systemd, or by the boot line's watcher.
`claim show|take|move|release|shut-down [--home HOME]`
    Whose turn it is on a machine of one's own. Prints {"claim": null} or {"claim": {"token", "owner", "name", "run_id",
    "deadline" (Unix time, by its owner's clock), "claimed_at", "ends_at" (Unix time, by the machine's)}}, as it is then.
    `take`: claim the machine if it is free, if it is this token's already, or if the claim on it has expired; what still
    runs under that one is ended first. Standard input: one object {"token", "owner", "name", "run_id", "deadline", "now"
    (the asker's clock)}. `move`: give the token's claim, and the jobs under it, another deadline. `release`: end what runs
    under the token's claim and let go of it; with {"shutdown": shell text} the machine is then shut down by `shut-down`,
    unless somebody claims it first. Another token's claim is never touched. It is kept in HOME/claims, by host name.

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
"notice": "aws", "gcp" or "azure" to end the job in time when a spot machine is taken back, or null,
"checkpoints": {"url": "s3://bucket/prefix/" or "gs://bucket/prefix/" or "az://account/container/prefix/", "region",
"outputs": [relative names]} or null}

With `checkpoints`, finished files of the outputs are copied there every minute while the job runs, and what is left when it
has ended, before the state says so: for ten minutes at most, and for ten seconds after the grace of a job that was asked to
end. It takes the credentials of the machine itself: its role's, its service account's, its identity's. Other services are
named by AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL and AWS_EC2_METADATA_SERVICE_ENDPOINT in the job's environment; on Google
Cloud by STORAGE_EMULATOR_HOST and GCE_METADATA_HOST there; on Azure by CLOUDTRAIN_BLOB_URL there, and
AZURE_POD_IDENTITY_AUTHORITY_HOST in the machine's.
"""
