"""erp-connector: callbacks of accounting systems in, one compacted Avro changelog topic per entity out.

The data's way, station -> module:

    vendor POST    runtime.door, runtime.ingress   limits, route, body; 202 once durable
    authenticate   core.authenticate               Callback -> Authentic, over the raw bytes
    receive        core.receive, sources.<vendor>  Authentic -> RawRecord, credentials redacted
                   runtime.producer                erp.raw.<source>, acks=all
    intake         runtime.intake, .assignment     cycles out of the raw topics, partitions taken and let go
                   runtime.rebuild, .state         what is known of every key, read from the changelog
    agents         runtime.agents                  one Faust agent per source carries its batches
    normalise      flow, sources.<vendor>          RawRecord -> ChangeEvent
    deduplicate    core.join                       event joined into state -> verdict
    compact        core.changelog, core.avro       state -> ChangelogRecord
                   core.history                    event + verdict -> record of erp.events
    outlet         runtime.outlet                  one transaction per cycle: outputs + consumed offsets

Imports go down only: cli -> runtime -> flow, sources, topics -> core -> entities -> model, errors. Everything
below `runtime` is pure: time, randomness and configuration reach it as arguments.
"""
