"""Files as values: `from redun.file import File, Dir, FileSet`. Some have two names here: redun's is the other."""

from builtins import FileNotFoundError as RedunFileNotFoundError
from builtins import OSError as RedunOSError
from builtins import PermissionError as RedunPermissionError

from redun.core.files.copying import copy_file
from redun.core.files.file import ContentFile, File, IFile
from redun.core.files.filesystems import (
    Filesystem,
    filesystem_of,
    get_filesystem,
    get_proto,
    open_file,
    register_filesystem,
)
from redun.core.files.filesystems import Filesystem as FileSystem
from redun.core.files.filesystems import schemes as list_filesystems
from redun.core.files.local import LocalFilesystem
from redun.core.files.local import LocalFilesystem as LocalFileSystem
from redun.core.files.sets import ContentDir, ContentFileSet, Dir, FileSet, IDir, IFileSet, glob_file
from redun.core.files.staging import (
    ContentStagingDir,
    ContentStagingFile,
    IStagingDir,
    IStagingFile,
    Staging,
    StagingDir,
    StagingFile,
)

__all__ = [
    "ContentDir",
    "ContentFile",
    "ContentFileSet",
    "ContentStagingDir",
    "ContentStagingFile",
    "Dir",
    "File",
    "FileSet",
    "FileSystem",
    "Filesystem",
    "IDir",
    "IFile",
    "IFileSet",
    "IStagingDir",
    "IStagingFile",
    "LocalFileSystem",
    "LocalFilesystem",
    "RedunFileNotFoundError",
    "RedunOSError",
    "RedunPermissionError",
    "Staging",
    "StagingDir",
    "StagingFile",
    "copy_file",
    "filesystem_of",
    "get_filesystem",
    "get_proto",
    "glob_file",
    "list_filesystems",
    "open_file",
    "register_filesystem",
]
