"""One file per verb: parse, one call, render. Only the verb that runs is imported; its file is named like it."""

VERBS = {
    "init": "Copy a job template to a folder, or list the templates.",
    "configs": "List the machines you can name, and what they cost.",
    "offers": "Compare what the providers have, cheapest first.",
    "prices": "Say how old the prices are, or ask for those of today.",
    "check": "See whether this computer and the providers are ready.",
    "plan": "Show what train would rent, until when and for how much.",
    "train": "Train the job in this folder on a machine, and give it back.",
    "attach": "Go on with a run: follow its job, collect, shut down.",
    "logs": "Print a run's log.",
    "pull": "Bring here what a run has made so far.",
    "status": "Show which machines exist and what became of the runs.",
    "get": "Find a machine by name, or see what would be rented.",
    "start": "Rent a machine, or switch it on again, without a job.",
    "ip": "Print a machine's address.",
    "ssh": "Open a shell on a machine, or run a command there.",
    "extend": "Move a machine's deadline.",
    "resize": "Give a machine another instance type, its disk kept.",
    "stop": "Switch a machine off and keep its disk.",
    "terminate": "End a machine, disk included.",
    "sweep": "End what no live run needs: machines and what they left.",
    "cost": "Show what runs and machines cost, and what is left of the month.",
    "settings": "Show or change what holds for every job and machine.",
    "setup": "Let a cloud keep the deadlines of your machines itself.",
    "version": "Print the version.",
}
"""Every verb and its help in one line, so that `cloudtrain --help` imports none of them."""
