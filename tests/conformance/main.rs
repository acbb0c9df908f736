//! Messages that others devised to find out what a SIP implementation is worth, each through a whole endpoint: the
//! torture messages of RFC 4475 and RFC 5118 with the verdicts that the RFCs give, and the oddities of real phones.

mod desk;
mod phones;
mod rfc4475;
mod rfc5118;
