"""What a competent user of the usual tools would write for the same job; run as programs of their own."""
