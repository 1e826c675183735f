"""The pure stations, in the order of the data's way; no clock, no network, no randomness.

at the door
    authenticate   Callback -> Authentic: the only place that makes the proof
    schemes        secrets, and the ways a sender proves to know one
    read           bytes -> slices and values, within limits, saying where it failed
    redact         credentials out of the bytes, before anything is produced
    source         what a vendor must say about itself
    receive        authentic callback -> raw records
    again          quarantined bytes -> raw records, as today's code reads them

what the vendors share
    events         which row of a vendor's event table a name means
    visma          the envelopes of the Visma publishers
    location       a vendor's URL or path -> resource and id
    times          vendor clocks -> ticks
    convert        vendor fields -> columns; what does not fit is kept in `extras`

in the worker
    join           state + event -> state, convergent per facet
    identity       re-keys: the business number changed, the GUID stayed
    privacy        masking and keyed hashes of personal data
    changelog      state -> changelog records and tombstones, and back
    schema, avro   Avro schemas from the tables; Confluent's frame and record writers
    keys           which partition a key lands in

beside the way
    facts, guards  is Kafka as our promises need it: facts in, findings out

Each imports only the ones it needs, `connector.entities`, `connector.model` and `connector.errors`.
"""
