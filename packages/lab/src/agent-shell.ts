/**
 * The part of an init that takes commands from file descriptor 3, for busybox:
 *
 *     ID exec BASE64      runs shell lines
 *     ID truth            runs the init's own function of that name, where it has one
 *
 * Each answer is any number of `==BEGIN name`, gzip in base64, `==END`, and then `==DONE ID`. It lies in a folder
 * /tmp/lab that the init has made.
 */
export const agentShell = String.raw`send() { echo "==BEGIN $1"; gzip -c | base64; echo "==END"; }

echo "==READY" >&3
while read -r id verb argument <&3; do
  case $verb in
    truth) truth ;;
    exec)
      echo "$argument" | base64 -d > /tmp/lab/script
      sh /tmp/lab/script > /tmp/lab/output 2>&1 < /dev/null 3>&-
      status=$?
      cat /tmp/lab/output | send output
      echo $status | send status ;;
  esac >&3
  echo "==DONE $id" >&3
done
`
