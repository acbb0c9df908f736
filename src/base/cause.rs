//! Why a leg ended: ITU-T Q.850 cause values, and their SIP faces (RFC 3398).

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident = $q850:literal, $text:literal;)*) => {
        /// Why a leg or call ended.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Cause { $($(#[$doc])* $name,)* }

        impl Cause {
            /// The Q.850 cause value (1..=127).
            pub const fn q850(self) -> u8 {
                match self { $(Self::$name => $q850,)* }
            }

            /// The stable name used in records and on the command line.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Every cause.
            pub const ALL: &'static [Cause] = &[$(Self::$name,)*];
        }
    };
}

causes! {
    /// Number not assigned.
    UnallocatedNumber = 1, "unallocated-number";
    /// No route to the destination.
    NoRoute = 3, "no-route";
    /// An emergency call took the circuit.
    Preemption = 8, "preemption";
    /// A party hung up.
    Normal = 16, "normal";
    /// The called party is busy.
    Busy = 17, "busy";
    /// The called party's equipment did not respond.
    NoUserResponding = 18, "no-user-responding";
    /// It rang and nobody answered.
    NoAnswer = 19, "no-answer";
    /// The called party refused.
    Rejected = 21, "rejected";
    /// The number changed.
    NumberChanged = 22, "number-changed";
    /// The call went in circles, or through too many exchanges.
    ExchangeRouting = 25, "exchange-routing";
    /// The destination is out of order.
    OutOfOrder = 27, "out-of-order";
    /// The number is incomplete or malformed.
    InvalidNumber = 28, "invalid-number";
    /// A facility was refused.
    FacilityRejected = 29, "facility-rejected";
    /// No more precise cause applies.
    NormalUnspecified = 31, "normal-unspecified";
    /// No circuit or channel is free.
    NoCircuit = 34, "no-circuit";
    /// The network (a span, card or peer) failed.
    NetworkOutOfOrder = 38, "network-out-of-order";
    /// A passing failure.
    TemporaryFailure = 41, "temporary-failure";
    /// Overload.
    Congestion = 42, "congestion";
    /// The requested channel is not there.
    ChannelUnavailable = 44, "channel-unavailable";
    /// A resource is missing.
    ResourceUnavailable = 47, "resource-unavailable";
    /// Incoming calls are barred for the caller.
    Barred = 55, "barred";
    /// The other side cannot do what was asked.
    NotImplemented = 79, "not-implemented";
    /// The media types have nothing in common.
    IncompatibleMedia = 88, "incompatible-media";
    /// A timer ran out.
    TimerExpired = 102, "timer-expired";
    /// A protocol error.
    ProtocolError = 111, "protocol-error";
    /// Interworking, nothing more precise is known.
    Interworking = 127, "interworking";
    /// The caller left before an agent answered (E.600 2.9). Q.850 16 on the wire.
    Abandoned = 16, "abandoned";
    /// The appliance stopped while the call was up. Q.850 41 on the wire.
    Interrupted = 41, "interrupted";
}

impl Cause {
    /// The SIP status that refuses or ends a call for this cause (RFC 3398 section 7.2.4.1).
    pub const fn sip_status(self) -> u16 {
        match self {
            Self::UnallocatedNumber | Self::NoRoute => 404,
            Self::Busy => 486,
            Self::NoUserResponding => 408,
            Self::NoAnswer => 480,
            Self::Rejected | Self::Barred => 403,
            Self::NumberChanged => 410,
            // RFC 3398 has no status for it; this one says the same.
            Self::ExchangeRouting => 483,
            Self::OutOfOrder => 502,
            Self::InvalidNumber => 484,
            Self::FacilityRejected | Self::NotImplemented => 501,
            Self::NormalUnspecified => 480,
            // Of preemption RFC 3398 says nothing; it is want of a circuit.
            Self::NoCircuit
            | Self::Preemption
            | Self::NetworkOutOfOrder
            | Self::TemporaryFailure
            | Self::Congestion
            | Self::ChannelUnavailable
            | Self::ResourceUnavailable
            | Self::Interrupted => 503,
            Self::IncompatibleMedia => 488,
            Self::TimerExpired => 504,
            Self::Normal | Self::Abandoned => 487,
            Self::ProtocolError | Self::Interworking => 500,
        }
    }

    /// The cause that a SIP final status stands for (RFC 3398 section 8.2.6.1).
    pub const fn from_sip_status(status: u16) -> Cause {
        match status {
            200..=299 => Self::Normal,
            401 | 402 | 403 | 407 | 603 => Self::Rejected,
            404 | 485 | 604 => Self::UnallocatedNumber,
            400 | 481 | 500 => Self::TemporaryFailure,
            406 | 415 | 501 => Self::NotImplemented,
            482 | 483 => Self::ExchangeRouting,
            408 => Self::TimerExpired,
            410 => Self::NumberChanged,
            480 => Self::NoUserResponding,
            484 => Self::InvalidNumber,
            486 | 600 => Self::Busy,
            487 => Self::Normal,
            488 | 606 => Self::IncompatibleMedia,
            502 => Self::NetworkOutOfOrder,
            503 => Self::TemporaryFailure,
            504 => Self::TimerExpired,
            _ => Self::Interworking,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
