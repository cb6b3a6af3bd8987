//! The `tftp` section of `greenlight.yaml` as written.

use std::time::Duration;

use schemars::JsonSchema;

use super::written::{ListenSpelling, WrittenListen, listen};
use crate::complaint::Complaints;
use crate::written::fields::{self, Fields};
use crate::written::{At, Node};

/// Configurations by TFTP.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "Tftp", deny_unknown_fields)]
pub struct WrittenTftp {
    /// Where to listen, as for `dhcp`. Default `0.0.0.0:69`; with `dhcp6` `[::]:69`, both families.
    #[schemars(with = "Option<Vec<ListenSpelling>>")]
    pub listen: Vec<WrittenListen>,
    /// Transfers at the same time; more are refused with an error. Default 4096.
    #[schemars(with = "Option<u32>")]
    pub transfers_max: Option<At<usize>>,
    /// The largest block a device may negotiate, in bytes (RFC 2348: 8 to 65464). Default 1428,
    /// which fits an Ethernet frame without fragments.
    #[schemars(with = "Option<u16>")]
    pub block_bytes_max: Option<At<u16>>,
    /// The largest window a device may negotiate, in blocks (RFC 7440). Default 16.
    #[schemars(with = "Option<u16>")]
    pub window_blocks_max: Option<At<u16>>,
    /// From a block to its repetition, unless the device negotiates (RFC 2349). Default `2s`.
    #[schemars(with = "Option<String>")]
    pub timeout: Option<At<Duration>>,
    /// Repetitions of one block before the transfer is given up. Default 6.
    #[schemars(with = "Option<u32>")]
    pub retries_max: Option<At<u32>>,
    /// Answer from the listening port itself, for firewalls and NAT that know nothing of TFTP.
    /// Default false: each transfer has a port of its own to its device (RFC 1350 section 4).
    pub single_port: Option<bool>,
    /// Backups that devices send, such as a running configuration. Default: none is taken.
    pub uploads: Option<WrittenUploads>,
}

/// Backups by TFTP, from planned devices alone. Each device has a directory of its own.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Uploads", deny_unknown_fields)]
pub struct WrittenUploads {
    /// Where they are kept, as `DIRECTORY/DEVICE/NAME`.
    pub directory: At<String>,
    /// A larger file is refused. In bytes; default 67108864.
    #[schemars(with = "Option<u64>")]
    pub bytes_max: Option<At<u64>>,
    /// How many files of one name are kept: the newest as `NAME`, older ones as `NAME~1~`,
    /// `NAME~2~`. Default 5.
    #[schemars(with = "Option<u32>")]
    pub versions: Option<At<u32>>,
    /// How many different names one device may have; a file of a further name is refused.
    /// Default 64.
    #[schemars(with = "Option<u32>")]
    pub names_max: Option<At<usize>>,
}

pub(super) fn tftp(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenTftp> {
    let mut fields = Fields::of(node, "tftp section", complaints)?;
    let tftp = WrittenTftp {
        listen: listen(fields.get("listen"), complaints),
        transfers_max: fields.whole("transfers_max", complaints),
        block_bytes_max: fields.whole("block_bytes_max", complaints),
        window_blocks_max: fields.whole("window_blocks_max", complaints),
        timeout: fields.duration("timeout", complaints),
        retries_max: fields.whole("retries_max", complaints),
        single_port: fields.boolean("single_port", complaints),
        uploads: fields.get("uploads").and_then(|node| uploads(node, complaints)),
    };
    fields.close(complaints);
    Some(tftp)
}

fn uploads(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenUploads> {
    let mut fields = Fields::of(node, "uploads section", complaints)?;
    let directory = fields
        .require("directory", complaints)
        .and_then(|node| fields::text(node, "directory", complaints));
    let bytes_max = fields.whole("bytes_max", complaints);
    let versions = fields.whole("versions", complaints);
    let names_max = fields.whole("names_max", complaints);
    fields.close(complaints);
    Some(WrittenUploads { directory: directory?, bytes_max, versions, names_max })
}
