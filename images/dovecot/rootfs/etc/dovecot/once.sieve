# Postfix delivers a mail again if it was killed before it had noted that Dovecot took it. The second Received header is
# Postfix's own: it names the mail in the queue and the time, and is the same each time. The first one is Dovecot's.
require ["duplicate", "envelope", "index", "variables"];

if header :index 2 :matches "Received" "*" {
    set "queued" "${0}";
    if envelope :all :matches "to" "*" {
        if duplicate :seconds 3600 :uniqueid "${queued} ${0}" {
            discard;
            stop;
        }
    }
}
