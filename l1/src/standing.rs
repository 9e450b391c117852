//! How an endpoint is doing, as the others see it.

use crate::endpoint::EndpointError;

/// How an endpoint is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not asked yet.
    Unknown,
    /// Answers as most do.
    Good,
    /// The only one: nothing checks what it says.
    Alone,
    /// Is behind the others.
    Behind {
        /// By so many blocks.
        blocks: u64,
    },
    /// Answers too late.
    Slow,
    /// Does not answer, or with nonsense.
    Dead {
        /// Why.
        error: EndpointError,
    },
    /// Is of another chain.
    WrongChain {
        /// The chain that it should be of.
        expected: u64,
        /// The one it is of.
        found: u64,
    },
    /// Says something else than most do.
    Lying {
        /// About what.
        about: &'static str,
    },
}

impl Standing {
    /// Whether it may be asked at once.
    pub(crate) const fn is_alive(&self) -> bool {
        !matches!(
            self,
            Self::Slow | Self::Dead { .. } | Self::WrongChain { .. }
        )
    }

    /// Whether an operator has to look.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        !matches!(self, Self::Unknown | Self::Good | Self::Alone)
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => write!(f, "not asked yet"),
            Self::Good => write!(f, "answers as most do"),
            Self::Alone => write!(
                f,
                "is the only L1 endpoint: nothing checks what it says; name two more"
            ),
            Self::Behind { blocks } => write!(f, "is {blocks} blocks behind"),
            Self::Slow => write!(f, "answers too late"),
            Self::Dead { error } => write!(f, "is not usable: {error}"),
            Self::WrongChain { expected, found } => {
                write!(f, "is of chain {found}, not of {expected}: it is not asked")
            }
            Self::Lying { about } => {
                write!(f, "says of {about} what most do not: it is not believed")
            }
        }
    }
}

/// An endpoint does otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointEvent {
    /// Which.
    pub url: String,
    /// What it does now.
    pub standing: Standing,
}
